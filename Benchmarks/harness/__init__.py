"""What `Benchmarks/run` is made of: data sets, the tools compared, measuring, and the report."""
