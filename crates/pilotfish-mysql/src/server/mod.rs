//! mysqld as a process, and its data directory: start, kill, initialise, copy, set aside.
