"""Language models as subjects, from servers, GGUF files and folders of Hugging Face transformers."""
