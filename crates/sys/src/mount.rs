//! mount_setattr(2) and what rustix lacks of the mount API.
