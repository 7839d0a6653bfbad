//! clone3(2), and the law that no process forks with an open database.
