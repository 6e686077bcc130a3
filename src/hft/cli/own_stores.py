"""Which tracking stores are the user's own: a record, which may be somebody else's, never decides where hft writes."""

from __future__ import annotations


def own_stores(outputs: str) -> frozenset[str]:
    """Addresses of the store under `outputs`, of MLFLOW_TRACKING_URI, and of the user's own `tracking.uri`."""
    from omegaconf import OmegaConf

    from hft.config import compose
    from hft.errors import HftError
    from hft.experiments.champions import store_uri
    from hft.experiments.store import absolute_uri

    found = {store_uri(outputs), absolute_uri(f"sqlite:///{outputs}/mlflow.db")}
    try:
        config = compose([]).copy()
        OmegaConf.set_readonly(config, False)
        config.outputs = outputs
        uri = OmegaConf.select(config, "tracking.uri")
    except HftError:  # the user's ./conf is broken, which `hft check` tells
        uri = None
    return frozenset(found | ({absolute_uri(str(uri))} if uri else set()))
