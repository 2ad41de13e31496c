"""What is stored of child types, by parent.

``child_rows`` compares the children of each parent with Klaviyo's count or with a complete read, ``group_rows`` does so for parents that are read
together, and ``parent_table`` reads the ids of the parents.
"""
