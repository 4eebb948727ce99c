"""Results: content for the model, images, long texts, links."""
