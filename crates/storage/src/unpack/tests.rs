//! Layers of honest and hostile archives, on a real file system.

mod compare;
mod exact;
mod hostile;
mod rootless;
