"""The store of many machines: a replica set of MongoDB."""
