//! Spawning our own binary with chosen file descriptors.
