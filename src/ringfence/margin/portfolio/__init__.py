"""Portfolio margin: the requirement of a whole book by what it loses in the venue's scenarios.

black76       options priced; the one place where floats are computed with, and where they end
exposure      what each position brings into its risk unit: value, delta, gains per scenario
charges       what is added because hedges offset only in part, one function each
unit          what one risk unit is required to hold
risk_matrix   Deribit: price × volatility grid, extended table, contingencies
components    OKX: MR1 to MR9
stress_test   Bybit: stress test plus contingencies
requirement   the whole account's, Binance's unified ratio among them; what each hedge saves
marks         the same account at other marks: index prices and options follow
apply         the requirement put into a pool's assessment
parts         the account coin by coin, each found once a price: for who asks at very many marks
price         at which price of one coin the account dies, by search on the exact requirement
crossing      how such a search narrows two points down to one step, with few assessments
"""
