{{ label_store('clarifai') }}
