"""A request's images from storage: read before the purchase, lent to the vendor for its fetch."""
