"""All devices of a broker, by what they retain there: a table, and an inventory for Ansible."""
