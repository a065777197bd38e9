"""The companions by name: their options and what is published of them; their modules import torch when they are made."""
