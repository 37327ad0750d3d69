{{ label_store('azure_vision') }}
