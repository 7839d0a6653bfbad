//! Layers of honest and hostile archives, on a real file system.

mod exact;
mod hostile;
mod rootless;
