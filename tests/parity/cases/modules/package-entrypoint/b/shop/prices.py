PRICE = "price of b"
