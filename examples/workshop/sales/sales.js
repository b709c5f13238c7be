// Sales: shows what was sold, and to whom it asks customers.
'use strict';

require('../service').start({
  name: 'sales',
  peer: 'customers',
  port: Number(process.env.SALES_PORT || 3000),
  rows: [{ order: 1, customer: 'c1', total: 120 }, { order: 2, customer: 'c2', total: 75 }],
});
