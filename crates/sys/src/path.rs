//! Paths resolved inside a root, whatever symlinks say.
