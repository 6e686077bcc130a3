"""The packaged Hydra groups: the declarative surface of hft. See train.yaml."""
