"""hft (Hydra Fine-Tuning): fine-tune models from a declaration.

`hft.compose(overrides)` gives a config, `hft.train(config)` runs it and gives its report, `hft.load(run)` gives the
tuned model. Importing hft imports nothing heavy.
"""
