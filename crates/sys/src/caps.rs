//! Capabilities of the calling thread.
