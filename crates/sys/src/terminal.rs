//! Raw mode and window size.
