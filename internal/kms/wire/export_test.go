package wire

// SmallOrders are the keys that the tests try.
var SmallOrders = smallOrders
