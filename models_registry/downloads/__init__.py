"""Whole repositories from a hub onto this machine: asked for, fetched by the worker, checked, handed over.

`services` writes what people want, `run` is the worker's side of one download, `transfer` fetches its files
(it knows no database), `storage` is what lies on the disk.
"""
