"""What Hydra's sweepers call: `hydra_sweep` is a sweep in any app, `hydra_app` the one in apps other than hft's."""
