//! prctl(2) and close_range(2).
