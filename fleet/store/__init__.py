"""The database: schema, migrations, and one module of SQL for each kind of thing stored."""
