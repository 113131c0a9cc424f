"""Language models as subjects: servers, GGUF files, transformers folders."""
