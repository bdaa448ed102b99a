"""Operations carried out: in parallel, from the cache where that has them."""
