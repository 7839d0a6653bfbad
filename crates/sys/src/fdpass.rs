//! File descriptors sent over unix sockets.
