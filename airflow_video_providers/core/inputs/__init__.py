"""A request's images from storage: looked at before the purchase, lent to the vendor for its fetch."""
