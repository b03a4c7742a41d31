"""What would one write instead of sgdprobe? Hydra's joblib launcher, MLflow and the book's network.

python tests/benchmarks/plain_pipeline.py data=src/sgdprobe/data/mnist

Not weakened on purpose: float32, data read once in each process and kept as floats, one call to
MLflow an epoch. The store and its experiment must exist before: MLflow can't make them from several
processes at once.
"""

import hydra
import mlflow
import numpy as np
from omegaconf import DictConfig
from plain_training import train


@hydra.main(version_base="1.3", config_path="plain_pipeline_conf", config_name="config")
def main(config: DictConfig) -> None:
    mlflow.set_tracking_uri(config.tracking_uri)
    mlflow.set_experiment(config.experiment)
    name = f"lr={config.learning_rate} scale={config.scale} {config.hidden}"
    # exp(-x) overflows in a saturated sigmoid; 1 / (1 + inf) = 0 is right.
    with mlflow.start_run(run_name=name), np.errstate(over="ignore"):
        mlflow.log_params(dict(config))
        for epoch, metrics in enumerate(train(config), start=1):
            mlflow.log_metrics(metrics, step=epoch)


if __name__ == "__main__":
    main()
