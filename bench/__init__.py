"""The benchmarks: `python -m bench [NAME…]`. Loopback only; each one ends what it started."""
