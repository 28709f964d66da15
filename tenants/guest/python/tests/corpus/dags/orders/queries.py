ORDERS = "select 1"
