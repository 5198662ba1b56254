"""Rows of trials: schema, store, views. The one package that talks to DuckDB and Parquet."""
