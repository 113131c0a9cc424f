"""The claims of a public thread, the measurements that bear on them, and each person's belief before and after."""
