"""MLflow's client. Importing this module takes a second; `store.client_of` does it when needed."""

import logging

from mlflow import MlflowClient

__all__ = ["MlflowClient"]

# MLflow logs each step of making a store, and sets this level itself when it is imported.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
# A store that fails is reported in one line, from the exception; MLflow logs its traceback besides.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
