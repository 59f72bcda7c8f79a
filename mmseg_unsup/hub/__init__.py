"""Trained models for others: a folder that says what it is, and the Hugging Face hub."""
