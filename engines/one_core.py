"""Numpy's threads: none beside those that engines have."""

from importlib import import_module


def use_one_core() -> None:
    """Keep numpy's matrix products in the thread that asks for them, in this process, from now on.

    Its own threads wait for one another by spinning: on a machine whose cores are busy, the matrices of
    a voice took three times as long with two threads as with one.
    """
    # only here, and untyped: the base install, which only lists voices, is without it
    import_module("threadpoolctl").threadpool_limits(limits=1, user_api="blas")
