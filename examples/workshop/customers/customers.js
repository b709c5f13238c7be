// Customers: shows who they are, and what they bought it asks sales.
'use strict';

require('../service').start({
  name: 'customers',
  peer: 'sales',
  port: Number(process.env.CUSTOMERS_PORT || 4000),
  rows: [{ id: 'c1', name: 'Ada' }, { id: 'c2', name: 'Grace' }],
});
