"""The bridge's duties: one a file, each a ``step`` that a ``Loop`` calls again and again.

A duty asks its ports, lets ``domain`` decide, and writes what was decided; it knows no adapter. It raises
``Unavailable`` where a service is away, which its loop waits out; whatever else handling one item raises sets that
item aside (``dead_letters``) and nothing else. ``bridge`` makes them all and says what wakes what.

From Prefect outwards: ``intake`` and ``sweep`` feed the ``mirror``, which writes journal and archive; ``relays`` carry
those to Kafka, Redis and MongoDB, each at its own pace. Inwards: ``kafka_commands`` and ``document_intake`` hand
``commands`` to Prefect.
"""
