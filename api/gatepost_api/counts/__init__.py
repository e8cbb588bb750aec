"""Message counts and the devices behind them."""
