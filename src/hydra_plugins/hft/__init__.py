"""Hydra plugins of hft. Hydra imports every module here at the start of every app, so none imports anything heavy."""
