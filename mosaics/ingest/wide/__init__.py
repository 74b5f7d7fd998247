"""Makes mosaic overviews: coarse files that low zooms of a wide layer are made of instead of its scenes."""
