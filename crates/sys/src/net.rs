//! The loopback interface.
