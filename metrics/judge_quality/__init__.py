"""May the judges be trusted?"""
