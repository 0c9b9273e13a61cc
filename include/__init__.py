"""The pipeline itself, in plain Python: no Airflow, clients and settings arrive as arguments."""
