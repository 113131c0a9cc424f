"""Adapters for users' agents: functions, PyTorch modules, files of other frameworks, language models, our networks."""
