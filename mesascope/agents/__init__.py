"""Adapters to what users bring: functions, torch modules, files of other frameworks, language models, our networks."""
