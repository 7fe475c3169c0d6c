PRICE = "price of a"
