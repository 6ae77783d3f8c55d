"""The script that people write: Hydra around a training loop, MLflow in the middle of it.

A 2-500-2 network of the founding question on the two moons, 200 steps of SGD in float32, two
metrics a step. ``python plain_script.py -m seed=range(0,8)`` is a sweep. It is what
``sweeps.py`` races against, and has nothing of Pullback in it.
"""

import hydra
import mlflow
import numpy as np
from omegaconf import DictConfig
from sklearn.datasets import make_moons


@hydra.main(version_base="1.3", config_path="plain_conf", config_name="config")
def main(cfg: DictConfig) -> float:
    mlflow.set_tracking_uri(cfg.uri)
    mlflow.set_experiment("plain")
    rng = np.random.default_rng(cfg.seed)
    x, label = make_moons(400, noise=0.2, random_state=cfg.seed)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[label]
    train_x, train_y, rest_x, rest_y = x[:200], y[:200], x[200:], y[200:]
    w1 = rng.normal(size=(2, cfg.net.width), scale=0.7).astype(np.float32)
    w2 = rng.normal(size=(cfg.net.width, 2), scale=cfg.net.width**-0.5).astype(np.float32)
    b1, b2 = np.zeros((1, cfg.net.width), np.float32), np.zeros((1, 2), np.float32)
    with mlflow.start_run(run_name=f"{cfg.loss.name} {cfg.seed}"):
        mlflow.log_params({"seed": cfg.seed, "lr": cfg.optimizer.lr, "width": cfg.net.width})
        for step in range(cfg.steps):
            a1 = np.tanh(train_x @ w1 + b1)
            z2 = a1 @ w2 + b2
            e = np.exp(z2 - z2.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            loss = -np.log(p[train_y == 1]).mean()
            dz2 = (p - train_y) / len(train_x)
            dz1 = (dz2 @ w2.T) * (1 - a1 * a1)
            gradients = train_x.T @ dz1, dz1.sum(0), a1.T @ dz2, dz2.sum(0)
            for value, gradient in zip((w1, b1, w2, b2), gradients, strict=True):
                value -= cfg.optimizer.lr * gradient
            mlflow.log_metric("train_loss", float(loss), step=step)
            norm = sum(float((g * g).sum()) for g in gradients) ** 0.5
            mlflow.log_metric("gradient_norm", norm, step=step)
        right = (np.tanh(rest_x @ w1 + b1) @ w2 + b2).argmax(axis=1) == rest_y.argmax(axis=1)
        mlflow.log_metric("test_accuracy", float(right.mean()))
    return float(loss)


if __name__ == "__main__":
    main()
