"""An application that fetches feeds, parses them in processes and stores the documents, in strict types."""
